// Package store is the Redis client, and the embedded store that speaks the same commands. It is the only importer of
// go-redis and of miniredis; other packages use the aliases here.
//
// # A Redis that is dead or hangs
//
// Every command has a short time-out ([redis] timeout, 500 ms) and keeps to its context. After three failures in a row
// the circuit breaker opens: commands fail at once with ErrDown, and one goroutine pings in the background (every 250 ms
// at first, every 2 s at last) until the server answers. Commands are not repeated: a write whose answer was lost may or
// may not have been done.
//
// # The embedded store
//
// Without [redis] the commands are carried out by miniredis in this process, behind an append-only log of ours. It is for
// trial and one small host: everything lives in memory, at most 512 MiB of it; above that, commands that add are answered
// "OOM …", those that delete are not.
//
// What it promises:
//
//   - A command that changes something is answered only when it is in the log and the log was synced (fsync). Commands
//     that wait at the same time share one fsync. A read is answered after the changes that it may have seen are synced.
//   - A MULTI … EXEC is one record: after a crash all of it is there, or nothing.
//   - After kill -9 or a power cut nothing answered is missing, as far as the disk keeps what fsync confirmed.
//   - Keys that begin with Volatile are not logged: they are for counters whose loss at a restart does no harm.
//   - Relative expiries are stored as points in time. Expired keys vanish once a second, so that one may be seen up to a
//     second too long (longer when there are very many keys), and never vanishes too early.
//   - When the log cannot be written (disk full, I/O error), commands that change something are answered "MISCONF …" until
//     a fresh snapshot of the memory could be written and synced; it is tried once a second. A command that was answered
//     so while it ran may have been done, as with a lost connection.
//   - Only the commands of the table in commands.go are carried out: those on which miniredis and Redis agree and whose
//     replay gives the same result. EVAL is not allowed inside MULTI.
//
// # The log
//
// The folder DATA_DIR/store (0700) holds
//
//	lock            flock'ed by the process that uses the store; its text is that process's id
//	00000007.snap   a snapshot of everything, as commands; absent for the first log
//	00000007.log    the commands since that snapshot
//	00000008.log    present while a compaction writes 00000008.snap, or when it was interrupted
//
// A file begins with the line "sekimori-store 1\n". Then come records:
//
//	4 octets  length of the payload, little endian
//	4 octets  CRC-32C of the length's octets and the payload
//	payload   uvarint: the time of the command, Unix milliseconds
//	          uvarint: the time up to which keys had been expired, Unix milliseconds
//	          uvarint: number of commands; for each: uvarint number of arguments; for each: uvarint length, octets
//
// EVAL and EVALSHA are logged by their effects: the commands that the script called, in one record. Replay first expires
// keys up to the record's second time and then runs the commands at its first, so that it comes to the same state however
// long the process was away.
//
// Opening loads the snapshot with the highest number and replays the logs from that number on. The last log may end in a
// torn record: from the first record that is too short or whose CRC is wrong, the rest is moved to a file NUMBER.log.cut
// and the log is truncated there. Those octets were never acknowledged unless the disk damaged them; when a whole record
// is found behind the damage, an error is logged with the counts. A damaged snapshot is an error that names the file.
//
// Compaction starts when the log has outgrown the snapshot (and 64 MiB). With the gate closed it syncs the log, opens the
// next one and collects references to all values; with the gate open again it writes NUMBER.snap.tmp, syncs it, renames
// it, syncs the folder, and only then deletes the older files. A crash at any point leaves a snapshot and all logs after it.
//
// While serve runs, DATA_DIR/store.sock (0600) offers the store to the commands of the same host, in the protocol of
// Redis (RESP). It has no password: whoever may open the socket may do everything.
package store
