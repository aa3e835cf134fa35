package web

import (
	"context"
	"net/http"

	"sekimori/internal/web/session"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

const actRevoke = "revoke"

// allowedPage are the senders that a person lets through.
type allowedPage struct{ Allows []reputation.Allow }

func (s *Site) allowed(w http.ResponseWriter, r *http.Request, n session.Session) {
	if !n.All {
		s.failed(w, r, n, acts.ErrNotFound)
		return
	}
	list, err := s.o.Acts.Allows(r.Context(), s.actor(r, n))
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "allowed", allowedPage{list})
}

// revoke takes permissions away.
func (s *Site) revoke(w http.ResponseWriter, r *http.Request, n session.Session) {
	ids, a := r.PostForm["id"], s.actor(r, n)
	if choice(r, actRevoke) == "" || len(ids) == 0 || len(ids) > maxPick {
		s.noChoice(w, r, n)
		return
	}
	if !n.All {
		s.failed(w, r, n, acts.ErrNotFound)
		return
	}
	s.once(w, r, n, func(ctx context.Context) (string, error) {
		for _, id := range ids {
			if err := s.o.Acts.Revoke(ctx, a, id); err != nil {
				return "", err
			}
		}
		return "/allowed", nil
	})
}
