package recipients

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"sekimori/internal/mail"
)

// tree is every object of the last Fetch. It is not changed once it is handed out.
type tree struct {
	mark string
	byID map[string]*object
	byDN map[string]*object
}

func newTree(n int) *tree {
	return &tree{byID: make(map[string]*object, n), byDN: make(map[string]*object, n)}
}

// put adds or replaces an object.
func (t *tree) put(o *object) {
	t.remove(o.id)
	t.byID[o.id], t.byDN[o.dn] = o, o
}

func (t *tree) remove(id string) {
	if o := t.byID[id]; o != nil {
		delete(t.byID, id)
		if t.byDN[o.dn] == o {
			delete(t.byDN, o.dn)
		}
	}
}

func (t *tree) clone() *tree {
	c := newTree(len(t.byID))
	for id, o := range t.byID {
		c.byID[id] = o
	}
	for dn, o := range t.byDN {
		c.byDN[dn] = o
	}
	return c
}

type treeHolder struct {
	mu sync.Mutex
	t  *tree
}

func (h *treeHolder) get() *tree {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.t
}

func (h *treeHolder) set(t *tree) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = t
}

// expand gives the addresses that a group stands for: those of its members, and of the members of groups in it, each once.
// A group that contains itself ends there. find resolves a DN; nil is nobody with an address.
func expand(o *object, find func(dn string) *object) []mail.Address {
	if !o.group {
		return o.targets
	}
	targets := slices.Clone(o.targets)
	seen := map[*object]bool{o: true}
	for stack := []*object{o}; len(stack) > 0; {
		g := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, dn := range g.members {
			m := find(dn)
			if m == nil || seen[m] {
				continue
			}
			seen[m] = true
			switch {
			case m.group:
				stack = append(stack, m)
				targets = append(targets, m.targets...)
			case len(m.addrs) > 0:
				targets = append(targets, m.addrs[0])
			}
		}
	}
	return targets
}

// entriesOf are the entries of one object.
func entriesOf(o *object, targets []mail.Address) []Entry {
	list := make([]Entry, len(o.addrs))
	for i, a := range o.addrs {
		list[i] = Entry{ID: o.id, Address: a, Targets: targets, Internal: o.internal, Lang: o.lang, Attrs: o.attrs}
		if i > 0 {
			list[i].Owner = o.addrs[0]
		}
	}
	return list
}

func (t *tree) find(dn string) *object { return t.byDN[dn] }

func (t *tree) entries(o *object) []Entry {
	if len(o.addrs) == 0 {
		return nil
	}
	return entriesOf(o, expand(o, t.find))
}

// containing adds to a set of DNs those of the groups in which they are, directly or not.
func (t *tree) containing(dns map[string]bool) {
	for grown := true; grown; {
		grown = false
		for _, o := range t.byID {
			if o.group && !dns[o.dn] && slices.ContainsFunc(o.members, func(m string) bool { return dns[m] }) {
				dns[o.dn], grown = true, true
			}
		}
	}
}

// ldapMark is what a Mark says: where the next Fetch goes on.
type ldapMark struct {
	Server string    `json:"server"` // whose numbers they are
	USN    uint64    `json:"usn,omitempty"`
	Time   string    `json:"time,omitempty"` // the newest modifyTimestamp that was seen
	Full   time.Time `json:"full"`
	Number int       `json:"n"` // of the Fetch since Full, so that no two marks are the same
}

func (m ldapMark) String() string {
	b, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	return string(b)
}

func parseMark(s string) (ldapMark, bool) {
	var m ldapMark
	return m, s != "" && json.Unmarshal([]byte(s), &m) == nil
}
