package text

var geoipTexts = []Entry{}
