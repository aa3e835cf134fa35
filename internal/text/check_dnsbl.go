package text

var dnsblTexts = []Entry{}
