// Package safe makes one held mail fit to be looked at: its text in every charset, its markup with nothing left in it that
// runs, fetches, submits or leads away, its header, and its files by name, type and size.
//
// The markup is cleaned in two passes. The first lets only structure through (bluemonday). The second balances and bounds
// what is left, turns links into text that names the real target, and shows hidden characters. Colours and styles are
// dropped on purpose: what a mail hides by them is then seen. The document is served at an address of its own with the
// policy in FramePolicy and shown in a frame with an empty sandbox attribute, so that a mistake in one layer is caught by
// the next.
package safe
