// Package nodes lets the hosts over one Redis ask each other what they know of a mail: each keeps its history on its own disk.
//
// # Why through Redis
//
// A host that takes mail opens port 25 and nothing else, and reaches the shared Redis already; so does every command. Questions and
// answers therefore go through it: no port, no certificate and no list of addresses is needed, and a host that is new is asked at once.
// What goes through it are a few kilobytes that live for seconds; the histories stay where they are. With the embedded store there is one
// host, and nobody to ask.
//
// # What stands in the store
//
//	history:nodes       hash: id of a host -> Host in JSON; said every ten seconds
//	history:key         32 octets in hexadecimal, when history.key_file is not set
//	history:asked       sorted set: ids of questions that are open
//	history:q:{ID}      a question, until its time is over
//	history:a:{ID}      hash: id of a host -> its answer; it ends with the question, or is taken away by who asked
//	history:ask         channel: a question was put; a hint only, a host looks once a second anyway
//
// Every command has one key, so that it also runs on a Cluster.
//
// # Sealing
//
// A question is Question, an answer history.Told, both packed (history.Pack) and then sealed with AES-256-GCM. The key is derived from a
// line of history.key_file, or from the one that the store keeps. With a file, who reads or writes the store learns nothing and can make
// up nothing; without it, they are as secret and as true as all else that stands there. The id of the question, the host and the direction
// are authenticated, so that no answer stands for another.
//
//	1 octet   1
//	8 octets  id of the key, made of it
//	12 octets nonce
//	the rest  ciphertext with its tag
//
// A host that cannot answer says why: 1 octet 0 and one of the letters of refusal. Nobody's key is needed for that, and who makes one up
// makes an answer missing, which is said, and nothing worse.
//
// # Bounds
//
// A host answers two questions at a time, each within the time that who asked waits; at that time it says what it has until then. A
// question is at most history.MostAsks things, an answer history.MostPacked octets. It reads beside the mail, without a lock that
// mail takes, and gives way between two blocks.
package nodes
