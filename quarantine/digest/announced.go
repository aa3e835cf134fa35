package digest

import (
	"context"

	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/quarantine"
)

// Announcer answers for expiry whether those were told whose a mail is. It is needed at every host, also where no digests are sent.
type Announcer struct {
	Keeper    func() *quarantine.Store
	People    *people.Store
	Directory *people.Directory
}

var _ quarantine.Announcer = Announcer{}

// Announced implements quarantine.Announcer.
func (a Announcer) Announced(ctx context.Context, id string, rcpt mail.Address) bool {
	items, err := a.Keeper().Items(ctx, []string{id})
	if err != nil {
		return false
	}
	if len(items) == 0 {
		return true
	}
	for _, box := range items[0].ReadersOf(rcpt) {
		readers := a.Directory.Readers(box)
		states, err := a.People.Get(ctx, readers)
		if err != nil {
			return false
		}
		for i, person := range readers {
			schedule, _ := a.Directory.Schedule(person, states[i].Schedule)
			if !schedule.Off() && !items[0].ToldTo(person) {
				return false
			}
		}
	}
	return true
}
