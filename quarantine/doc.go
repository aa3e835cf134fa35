// Package quarantine keeps suspect mail until it is released, deleted or expired.
//
// README.md describes the keys in the store, what is guaranteed when, and why. The life of a hold: Hold, then List and Show for
// people, Release or Delete as requests, and Run, which carries them out, expires, and repairs.
package quarantine
