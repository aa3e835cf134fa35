// Command crashtest shows that an acknowledged mail is never lost. It runs real processes on loopback: the server, Redis, Postfix, and
// scripted backends that stall, refuse, and hang up behind the final dot. While varied mail comes in it kills them with
// SIGKILL, stops them with SIGSTOP, restarts them, and fills the server's disk, at moments drawn from a printed seed. In the end
// everything is mended, the queue runs empty, and every acknowledged (mail, recipient) must be found exactly where the ledger
// says, with the same octets. What arrived twice is counted and explained; a duplicate that nothing explains is a failure.
//
//	go run ./internal/crashtest              about a minute, 12 kills
//	go run ./internal/crashtest -long        at least 200 kills
//	go run ./internal/crashtest -seed 42     the same draw again
//
// It needs root for Postfix and for the small tmpfs that is filled; without them it says what is left out, or fails when
// SEKIMORI_REQUIRE_REAL=1. Everything stands in one temporary folder, which is kept when something is wrong.
package main
