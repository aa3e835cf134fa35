// Package recipients says which addresses are ours, what they stand for, and whose quarantine their mail belongs to.
//
// Each [[domain]] names the place where its recipients are kept: everybody (any), the accounts of this machine (unix), a
// file, a directory (ldap), a database (sql), or the backend itself (callout). Alias files are asked before it.
//
// A place answers in two steps. What it has in memory it says at once: a file is read whole, a directory or database is
// copied (copied.go) and the copy kept on the disk (snapshot.go), so that one which is away refuses nobody's mail; what a
// backend or the name service said is remembered. What memory does not have is asked for (live.go) while the client waits:
// bounded in number and in time, so that somebody who was added this morning gets mail this morning. An error in that is
// never taken for "unknown": the client is told to come again, unless a copy that is young enough says that the address is
// not there.
//
// That an answer had to be asked for can be seen by the time it takes. Resolve therefore lets an answer from memory wait as
// long as recent questions took, drawn from them at random (pace.go), where the place is one that is asked.
package recipients
