package text

var rdnsTexts = []Entry{}
