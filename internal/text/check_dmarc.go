package text

var dmarcTexts = []Entry{}
