package text

var ratelimitTexts = []Entry{}
