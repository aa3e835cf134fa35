package text

var bayesTexts = []Entry{}
