package digest

import (
	"context"
	"slices"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/people"
)

// askLife is how long a request stands that another host has begun to hand over and not brought to its end.
const askLife = time.Hour

// asked sends to those who want a digest now. The due time is that of the request, so that a host which goes on with what another has
// begun finds the other's slot. A request is answered when its slot has come to its end, or nothing is new.
func (r *Runner) asked(ctx context.Context) error {
	list, err := r.o.People.Asked(ctx, 10*claimStep, lapse)
	if err != nil || len(list) == 0 {
		return err
	}
	want := map[string]time.Time{}
	for _, q := range list {
		want[q.Person.Key()] = q.At
	}
	jobs, err := r.waiting(ctx)
	if err != nil {
		return err
	}
	now := r.o.Now()
	mine := jobs[:0]
	for _, j := range jobs {
		if at, is := want[j.person.Key()]; is {
			j.due, j.next = at, at.Unix()
			_, j.settings = r.o.Directory.Schedule(j.person, config.Schedule{})
			mine = append(mine, j)
		}
	}
	open := map[string]bool{}
	for _, j := range mine {
		open[j.person.Key()] = true
	}
	nothing := slices.DeleteFunc(slices.Clone(list), func(q people.Request) bool { return open[q.Person.Key()] })
	if err := r.o.People.Answered(ctx, nothing); err != nil {
		return err
	}
	for step := range slices.Chunk(mine, claimStep) {
		if err := r.send(ctx, step); err != nil {
			return err
		}
		ended := map[string]bool{}
		for _, j := range step {
			ended[j.person.Key()] = j.finished || now.Sub(j.due) > askLife
		}
		if err := r.o.People.Answered(ctx, slices.DeleteFunc(slices.Clone(list), func(q people.Request) bool { return !ended[q.Person.Key()] })); err != nil {
			return err
		}
	}
	return nil
}
