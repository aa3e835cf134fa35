// Package relay hands mail to the mail servers behind us: at once while the client waits when that is possible, from the spool
// when it is not.
//
// Deliver takes a mail whose recipients share a set of backends, tries those that live by priority and weight, and answers
// within the budget (relay.budget). What a backend takes costs no fsync. Everything else is on the disk before Deliver returns:
//
//   - the backends are dead, busy, or say anything but yes before the mail is theirs: queued;
//   - a 4xx to RCPT or to the final dot: queued; a 5xx there: refused when it is all that was said, else the recipient fails
//     later, as after any 250 (OnFailed);
//   - the answer to the final dot is late: in flight. The same connection is read for relay.late_answer, and that answer
//     decides. Only when the connection breaks is the mail sent again; it is logged and counted as a possible duplicate.
//
// Only answers to RCPT and to the final dot, and a size refused at MAIL (552, 523), are about the mail. A 5xx anywhere else says
// that the backend is unwell. Recipients who got another answer than the rest are made safe in the spool before the first
// octet of the mail is sent to the backend: what can be undone comes before what cannot.
//
// What a server says before it can have been caused is no answer: a connection is looked at before it is used again, before the data
// and before their last octet. Only a refusal in the middle of the data is about the mail.
//
// A connection on which anything went wrong is closed: a RSET or QUIT behind half a mail would deliver the half. Healthy ones
// wait in a pool; one that the server has closed meanwhile is replaced without anybody noticing.
//
// A backend that breaks or stalls is dead until a probe in the background (after 1 s, then doubling to 1 min) reaches it;
// meanwhile mail goes to the spool without waiting, and what waits there is tried as soon as it lives.
//
// A backend may want a login (SASL, never over clear text unless allow_cleartext says so) and to know the client (XCLIENT, XFORWARD, the
// PROXY header). Where it offers CHUNKING the data goes by BDAT. A 421 while connecting halves the pool, which then grows by one
// connection a minute. With on_backend_down = "defer" mail stays with its senders while all backends of its domain are dead.
//
// The queue is the spool's entries of kind "queue", one per mail and set of backends: ID, and ID.2, ID.3 … when the recipients of
// one mail belong to several sets. They are retried after 1, 2, 5, 10, 20, 30 and then every 30 minutes (or as relay.retry says), a
// fifth more or less, until relay.queue_lifetime, and at once at start, when a backend comes back to life and when `queue retry`
// asks. When a connection broke and another backend lives the second try comes after 2 s; a backend that lost the mail behind the
// final dot is then asked last. Each domain has a lane of its own, with at most relay.domain_concurrency (or the domain's
// concurrency) deliveries at once.
//
// Two lanes lead elsewhere. LaneOutbound is for reports to senders and for what a rule redirects or copies: to our own backends, or by
// [bounce] to the world. LaneJournal is for the archive. Such mail is staged: it is on the disk first, then what it belongs to is
// settled, and only then is it tried. After a crash in between, a report is found under the same ID and not made again, and the
// failure it speaks of is settled before anything is tried. A warning of a delay is noted before it is made: a crash there costs the
// warning and never makes a second. A journal copy whose mail the client sends again because we died can stand in the archive twice.
package relay
