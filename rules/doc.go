// Package rules reads the administrators' rule files and judges mail by them.
//
// A rule file is TOML with conditions in the expr language. Everything is checked when the files are loaded: syntax, keys,
// names, types; every error is reported at once with its file, line and column. The rules that are built in come first,
// then the files of the rules directory in name order. How to write a rule is said in README.md.
//
// Unknown is not false: a condition about something that was not looked at is neither a hit nor a miss (Kleene's
// three-valued and, or, not), and the verdict lists the rule. See cond.go and eval.go.
package rules
