// Package ruleset keeps the sets of rules that were in force on a host: what they were made of, since when, and why.
//
// Everything stands below one directory:
//
//	files/SHA256     the content of a file, once, however many sets have it
//	sets/VERSION     a set: its settings, and the names and hashes of its files
//	log/TIME-VERSION what became of a set: it came into force, was refused, or was kept before something was written over it
//
// A version is the beginning of a hash over the settings and the files, so that hosts with the same rules have the same version,
// and a set that comes again is the one there was. serve and the commands write here at once: each record is a file of its own,
// written under another name and renamed.
package ruleset
