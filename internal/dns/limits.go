package dns

// maxChain bounds how many CNAME records are followed for one question; real chains have two or three.
const maxChain = 10
