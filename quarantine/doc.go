// Package quarantine keeps suspect mail until it is released, deleted or expired.
//
// README.md describes the keys in Redis, what is guaranteed when, and why.
package quarantine
