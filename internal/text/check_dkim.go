package text

var dkimTexts = []Entry{}
