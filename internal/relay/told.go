package relay

import "strconv"

// tell tells OnTry of the answers to recipients, which go with to one by one or, when there are more, with all; or why there are none.
func (p *parcel) tell(to []int, answers []answer, err error) {
	if p.r.OnTry == nil || len(to) == 0 {
		return
	}
	t := Try{ID: p.e.ID, Backend: p.backend, Rcpts: make([]Tried, len(to))}
	for n, i := range to {
		x := Tried{Addr: p.e.Rcpts[i].Addr, State: "deferred"}
		if err != nil {
			x.Words = printable([]byte(err.Error()))
		} else {
			k := n
			if len(answers) > len(to) {
				k = i
			}
			x.State, x.Words = answers[k].words()
		}
		t.Rcpts[n] = x
	}
	p.r.OnTry(t)
}

// words says what an answer is and what the backend said.
func (a answer) words() (state, said string) {
	switch a.state {
	case delivered:
		if said = strconv.Itoa(a.reply.code); a.reply.code == 0 {
			said = "" // a Maildir says nothing
		} else if a.reply.text != "" {
			said += " " + a.reply.text
		}
		return "delivered", said
	case accepted:
		return "inflight", ""
	case refused:
		return "refused", a.reply.mail().String()
	}
	return "deferred", a.reply.mail().String()
}
