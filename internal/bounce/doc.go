// Package bounce decides whether the sender of a mail is told that it was not or not yet delivered, and writes the report.
//
// A report goes to an address that anybody could have written into MAIL FROM. So that nobody innocent gets one, it is sent only
// when the sender's domain was confirmed as the mail came in: by SPF for MAIL FROM, or by DMARC for a From whose domain is
// that of MAIL FROM or stands above it. An error of SPF or DMARC confirms nothing, and neither does what is not known any
// more. No report is sent either (RFC 3834, RFC 5321 section 4.5.5)
//
//   - to the null sender or a mailer-daemon, and about a report (multipart/report);
//   - about mail that says it was sent automatically (Auto-Submitted other than "no") or wants no reports
//     (X-Auto-Response-Suppress: All, DR, NDR), that was sent to many (Precedence: bulk, list, junk), or that came by a
//     list (List-Id). A list's owner does not hear of failures through us; the administrator does;
//   - about what did not come in but was made or sent on by us: reports, alerts, journal copies, redirected and copied mail, and
//     mail that a person released from the quarantine.
//
// What is not reported is held as undeliverable, and the reason stands beside it.
//
// A report is a multipart/report (RFC 6522): sentences for a person in Japanese, English or both; a message/delivery-status (RFC
// 3464); and the header of the mail as it came in, never its body. All parts are in 7 bits. Mail that was sent with SMTPUTF8 gets
// the international forms of the last two parts (RFC 6533). We do not offer the extension DSN (RFC 3461), so there are no
// Original-Envelope-Id and Original-Recipient to give, and every sender wants what that extension calls NOTIFY=FAILURE,DELAY.
package bounce
