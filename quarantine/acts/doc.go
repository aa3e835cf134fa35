// Package acts is what people do with held mail: release, undo, delete, report, ask, allow, and all of it for many mails at once.
//
// It says who may do what, writes each act into the audit log before it is done, teaches the Bayesian model, and keeps a receipt
// by which the act can be undone. Pages, links and commands call it and add nothing to that.
package acts
