// Package audit keeps who did what with held mail, in the shared store, for a configured time.
//
// An entry is written before what it tells is done: an act that cannot be written down is not done. Each day has a sorted set
// of its own, so that age ends by the expiry of a key, and every mail a small one that leads to its entries.
// What machines do with the links of a digest is tallied: one entry for each person and hour.
package audit
