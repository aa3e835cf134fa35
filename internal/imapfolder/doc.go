// Package imapfolder reads new mails from a folder of an IMAP server (RFC 9051, RFC 3501).
//
// A mail is known by the folder's UIDVALIDITY and its UID: UIDs only grow, so the place where reading ended is one number. Mails are
// fetched without setting any flag. What is to become of a mail that was read (it stays, is marked as seen, is moved) is done after
// the caller has taken it, so that an end in between leaves a mail that was read and is still there: of those to be moved, the next
// round moves them without reading them again.
//
// The server is not trusted: the connection is encrypted and its certificate verified, before a password is sent; each wait, the whole
// round, the octets and the number of mails are bounded.
package imapfolder
