// Package link makes and checks the links that stand in digest mails.
//
// A link is https://PUBLIC_URL/q/TOKEN. The token says what it opens and for whom, and carries an HMAC-SHA256 over all of it:
//
//	1 octet   version, 1
//	8 octets  id of the key
//	uvarint   when it was issued, Unix seconds
//	uvarint   when it expires, Unix seconds
//	3 times   uvarint length, octets: the action, the id of the mail ("" is the person's list), the person's address
//	32 octets HMAC-SHA256 (RFC 2104) over "sekimori link" and all of the above
//
// in base64url without padding (RFC 4648 section 5), of which exactly one spelling is accepted. A token is not secret from
// its reader, and needs no store to be checked. Opening a link may be repeated until it expires, because those who look at
// links before a person does (scanners, previews) must not use it up; acting is another matter, and needs more than a link.
//
// # Keys
//
// Without quarantine.key_file the keys stand in the store, in the hash link:keys (key id -> "MILLISECONDS HEX": when the
// key begins to sign, and the key). Every node looks there once a minute and whenever it meets an id that it does not know.
// A new key is made when the newest has signed for the time of a rotation; it begins to sign a little later, so that all
// nodes know it by then. An old key is dropped when every link that it signed has expired.
//
// With quarantine.key_file the first line of the file signs; the lines below it are older keys, whose links still open.
// Keys in the store still open links, but sign none.
package link
