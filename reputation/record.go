package reputation

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// Source is where a lesson comes from.
type Source string

// The sources. What a person teaches reaches other people within bounds (see Sample); what was learned automatically gives way to
// everything else.
const (
	Command Source = "command" // an administrator's command or folder
	Person  Source = "person"  // a person's release, report or mail to the drop address
	Admin   Source = "admin"   // the same, by an administrator
	Auto    Source = "auto"    // other checks
)

// entry is what a mail contributed to one scope.
type entry struct {
	Scope   Scope  `json:"s,omitempty"`
	Class   Class  `json:"c"`
	Month   string `json:"m"`
	Learned bool   `json:"l,omitempty"` // its tokens are counted
	Source  Source `json:"o,omitempty"`
	By      string `json:"b,omitempty"` // the person
	Quota   bool   `json:"q,omitempty"` // it counts against what the person may teach everybody in its month
	Way     Way    `json:"w,omitempty"` // "": of a version that did not note it
}

// vote is a person's opinion of a mail, whether or not it reached others.
type vote struct {
	By    string `json:"b"`
	Class Class  `json:"c"`
}

// record says what became of a mail that was shown. The tokens that were counted are kept with it: another version of the tokenizer, or
// another copy of the mail with other fields on top, must not take away anything else.
type record struct {
	Entries []entry `json:"e"`
	Votes   []vote  `json:"v,omitempty"`
	// Reports are the IDs of persons whose word that it is spam counts against the check, which had passed it.
	Reports []string `json:"r,omitempty"`

	tokens []string // those that are counted; nil: none are, or the record is of a version that did not keep them
	blob   []byte   // of the store, not yet unpacked
	raw    string   // the whole as read from the store; "": there was none
	head   string   // its first line

	reported []string // Reports as the store has them
}

const (
	recordVersion = "2 " // a record begins with it; then JSON, a line end, and the packed tokens
	mostVotes     = 16
)

// parseRecord reads a value of the store; "" is that of a mail never shown.
func parseRecord(text string) (record, error) {
	head, blob, _ := strings.Cut(text, "\n")
	r := record{raw: text, head: head}
	if head == "" {
		return r, nil
	}
	if rest, ok := strings.CutPrefix(head, recordVersion); ok {
		r.blob = []byte(blob)
		err := json.Unmarshal([]byte(rest), &r)
		r.reported = r.Reports
		return r, err
	}
	w := strings.Fields(head) // of version 1: class, month, whether it was learned
	if len(w) != 3 || len(w[1]) != 6 || strings.Trim(w[1], "0123456789") != "" {
		return r, errors.New("a record of a learned mail cannot be read")
	}
	c, ok := ParseClass(w[0])
	if !ok {
		return r, errors.New("a record of a learned mail cannot be read")
	}
	r.Entries = []entry{{Class: c, Month: w[1], Learned: w[2] == "1"}}
	return r, nil
}

// forgetOld leaves out what has aged out of the model.
func (r *record) forgetOld(oldest string) {
	r.Entries = slices.DeleteFunc(r.Entries, func(e entry) bool { return e.Month < oldest })
}

// counted returns the tokens that are counted; given are those of the mail as it is now, for a record that has none.
func (r *record) counted(given []string) ([]string, error) {
	if r.tokens == nil && len(r.blob) > 0 {
		t, err := unpackTokens(r.blob)
		if err != nil {
			return nil, err
		}
		r.tokens = t
	}
	if r.tokens == nil {
		r.tokens = given
	}
	return r.tokens, nil
}

func (r *record) find(s Scope) *entry {
	for i := range r.Entries {
		if r.Entries[i].Scope == s {
			return &r.Entries[i]
		}
	}
	return nil
}

func (r *record) remove(s Scope) {
	r.Entries = slices.DeleteFunc(r.Entries, func(e entry) bool { return e.Scope == s })
}

// learned reports whether any tokens are counted.
func (r *record) learned() bool {
	return slices.ContainsFunc(r.Entries, func(e entry) bool { return e.Learned })
}

// vote notes a person's opinion, the newest last.
func (r *record) vote(by string, c Class) {
	r.Votes = slices.DeleteFunc(r.Votes, func(v vote) bool { return v.By == by })
	r.Votes = append(r.Votes, vote{by, c})
	r.Votes = r.Votes[max(0, len(r.Votes)-mostVotes):]
}

// vouched reports whether another person said the same.
func (r *record) vouched(by string, c Class) bool {
	return slices.ContainsFunc(r.Votes, func(v vote) bool { return v.By != by && v.Class == c })
}

// headline is the record without its tokens; "" of an empty one.
func (r *record) headline() string {
	if len(r.Entries) == 0 && len(r.Votes) == 0 {
		return ""
	}
	b, err := json.Marshal(r)
	if err != nil {
		return ""
	}
	return recordVersion + string(b)
}

// value is what stands in the store; "" of an empty record.
func (r *record) value() string {
	head := r.headline()
	if head == "" || !r.learned() {
		return head
	}
	if r.blob == nil || r.tokens != nil {
		return head + "\n" + string(packTokens(r.tokens))
	}
	return head + "\n" + string(r.blob)
}

// packTokens writes tokens, each with its length, and compresses them.
func packTokens(tokens []string) []byte {
	var plain []byte
	for _, t := range tokens {
		plain = append(binary.AppendUvarint(plain, uint64(len(t))), t...)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil // the level is one that exists
	}
	_, _ = w.Write(plain) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

const mostUnpacked = 1 << 20

func unpackTokens(b []byte) ([]string, error) {
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), mostUnpacked))
	if err != nil {
		return nil, errors.New("the tokens of a learned mail cannot be read")
	}
	tokens := []string{}
	for len(plain) > 0 {
		n, k := binary.Uvarint(plain)
		if k <= 0 || n > uint64(len(plain)-k) {
			return nil, errors.New("the tokens of a learned mail cannot be read")
		}
		tokens = append(tokens, string(plain[k:k+int(n)]))
		plain = plain[k+int(n):]
	}
	return tokens, nil
}
