// Package mail is the vocabulary of Sekimori: what a session, a transaction, a message, a finding and a verdict are.
//
// It imports no other package of ours, and every package may import it. The words are those of RFC 5321 (session,
// transaction, reverse-path, recipient), RFC 5598 and RFC 8601. Values that cross goroutines (Session, Finding, Outcome,
// Verdict, Message) are not changed once they have been handed out; what needs another value makes a copy.
package mail
