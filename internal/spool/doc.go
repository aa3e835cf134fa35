// Package spool keeps mail on our disk: mail that waits for a backend, mail whose delivery is in flight, and holds that wait
// for the quarantine's store. What Put has returned for survives a crash and a power cut.
//
// # Format, version 1 (of the directory)
//
// Everything stands under one directory (data_dir/spool, mode 0700) and can be read with cat:
//
//	VERSION          "sekimori-spool 1"
//	lock             held (flock) by the one serve that writes here
//	queue/ID.eml     the octets of a mail exactly as they go to the backend: CRLF line ends, our header fields on top,
//	                 no dot-stuffing
//	queue/ID.json    its envelope (Entry): sender, recipients with what became of each, times, state
//	hold/ID.eml      the same for holds that are not yet safe in the quarantine's store
//	hold/ID.json
//	tmp/             half-written files and incoming bodies; emptied at start
//	aside/           data files whose envelope never came to be; kept for the administrator, never read again
//	requests/        what commands ask of the running serve (Request), one JSON file each
//
// The envelope is the commit: an entry exists from the moment when ID.json has its name. The data file is written, synced
// and named first. An entry ends by renaming ID.json to ID.gone, after which both files are unlinked; a start that finds
// ID.gone finishes that. An envelope is replaced by renaming a synced new one over it. After every such step the directory
// is synced; steps of several goroutines share one sync.
//
// The envelope has the size of the data file and its CRC-32C (crc32c, in hex; absent in entries of earlier versions): what does
// not match is not sent. What became of a recipient stands in end and detail, in the words of the ledger.
//
// Envelopes have a version of their own. Most are written as version 1. One with "once": true is version 2: it has one recipient, is
// made "inflight", durably, before the last octet of the mail is given to a backend, and is not sent again when it is found so after a
// crash or when the connection was lost there: its recipient is then failed, with "unknown": true. A program that knows only version 1
// reports these and sends them neither once nor twice; this program takes them up again. Entries of both versions stand side by side.
//
// An envelope that cannot be read, is of a later version or lacks its data is reported (Problems) and left where it is.
package spool
