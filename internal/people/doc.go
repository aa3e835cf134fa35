// Package people says who reads the quarantine: which person an address belongs to, in which language and when they want to
// hear of held mail, and by which words they recognise that a digest is ours.
//
// An alias, a group or a shared mailbox is no person: mail for it belongs to those for whom it stands (package recipients), or to the
// owners and delegates of [[digest.shared]]. What a person chose stands in the store, in the hash p:{ADDRESS}:
//
//	lang, schedule   what the person chose; absent: the directory's and the domain's
//	mark             the recognition mark, as the numbers of its two words
//	slot             where the digest is: SECONDS|STATE|NODE|MILLISECONDS (package quarantine/digest)
//	sent, count      when the last digest went out, and how many mails it named
//	asked            since when (ms) a digest is asked for that is not told yet
//	fail             what the mail server said when it did not take the last digest
package people
