// Package measure says how well the Bayesian check would do on mail whose class is known: it teaches a model a part of the mail as
// `sekimori learn` would, in memory, and scores the rest.
//
// Nothing is read from the store or written to it. Results depend on the mails, their order and the seed alone.
package measure
