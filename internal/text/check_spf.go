package text

var spfTexts = []Entry{}
