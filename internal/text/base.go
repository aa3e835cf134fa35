package text

var baseTexts = []Entry{}
