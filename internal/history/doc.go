// Package history keeps what happened to every mail, and to every connection that was refused before one, in compressed day
// segments on this node's disk, off the path of the mail. `trace` and `explain` read its stories, `rules replay` its facts.
//
// # Streams
//
// There are two: stories (Event: one line of what happened to a mail; kept 400 days) and facts (what the rules saw of a mail, as
// package rules encodes it; kept 14 days). The story of a mail is all events with its id: the mail itself, recipients refused
// before it, tries of delivery, what became of it in the quarantine. Refusals of clients that come by the hundred are counted by
// client and minute (Refusals), so that a flood cannot fill the disk.
//
// # Writing
//
// Story and Facts put into a bounded queue and never wait; what does not fit is dropped, counted, and told in the stream itself by
// an event of kind "lost" once there is room again. One goroutine appends to a tail file at most a second later (FlushEvery), so
// that a command sees it while serve runs and a killed process loses no more than that; the tail is synced every ten seconds
// (SyncEvery). When a tail has grown to a block, the block is compressed, appended to the day's segment and synced, and the next
// tail begins. One process writes in a directory (flock on "lock").
//
// # Format, version 1
//
// Everything stands under data_dir/history (mode 0700), numbers are little endian, days are UTC, the name of a stream is its kind:
//
//	lock
//	2026-11-27/stories-0001.seg           a segment: up to 64 blocks, then a footer
//	2026-11-27/stories-00000000000017.tail  what belongs into block 17 and is no block yet
//	2026-11-27/facts-0001.seg, …
//
// A segment is a row of frames: header (64 octets), filter, packed.
//
//	 0 "SKHB" a block, "SKHF" the footer     24 time of the oldest record, µs since 1970
//	 4 version (1)                           32 time of the newest
//	 5 stream: 1 stories, 2 facts            40 number of the block; it grows over all days of a stream
//	 8 how many records                      48 0 (8 octets)
//	12 octets of packed when unpacked        56 CRC-32C of packed
//	16 octets of packed                      60 CRC-32C of the 60 octets before
//	20 octets of the filter, a multiple of 64
//
// A block's packed is one zstd frame of records: each a uvarint length and so many octets. A story is an Event in JSON; a reader skips
// keys that it does not know. Facts are the time (8 octets, µs), a uvarint length and the id, and what package rules wrote.
//
// A filter says which keys a block does not have. It is a Bloom filter in lines of 64 octets: 480 bits, and the CRC-32C of these 60
// octets, so that a look-up reads one line and knows that it is sound. A key is the FNV-1a hash of a letter, a colon and a text in
// lower case, mixed: t: id, a: address of the envelope or of From, d: domain of one, of the client's name, and each above with two
// labels, i: client, n: its network (/24, /64), m: Message-ID without brackets, w: word of the subject (for text without spaces: two
// letters that stand side by side). See keys.go. Facts have t: alone.
//
// The footer ends a segment to which nothing is added any more. Its filter is of all blocks, its packed, as it is, the table of blocks:
// offset (8 octets) and header of each. Behind it stand 16 octets: its offset (8), 4 zeros, "SKHE". So a search for a rare key reads
// three small pieces of a segment. A segment without one is walked from block to block.
//
// A tail begins with "SKHT", version, stream, two zeros and the number of its block (8 octets); then chunks: length (4), CRC-32C (4),
// records as in a block. What is behind the last sound chunk is no record. When the segment has the block of that number the tail is over.
//
// At start the octets behind the last whole frame of an open segment, and behind the last sound chunk of a tail, are cut off. A block
// that does not match its checksum is skipped and told; what stands behind it is found by the next header that is sound.
//
// # Room
//
// Days older than their stream is kept are deleted. When all of it needs more than the budget, the oldest day of facts goes first, as
// long as there is one, then the oldest day of stories; of the present day, segment by segment.
package history
