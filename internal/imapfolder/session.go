package imapfolder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// session is one connection with the folder open.
type session struct {
	o        *Options
	conn     net.Conn
	c        *imapclient.Client
	validity uint32
	mails    uint32

	take func(context.Context, [][]byte) error
	keep func(context.Context, Place) error
	at   Place
	Round
}

// open logs in and opens the folder.
func (s *session) open(readOnly bool) error {
	if err := s.c.WaitGreeting(); err != nil {
		return said("greeting", err)
	}
	if s.c.State() != imap.ConnStateNotAuthenticated {
		return errors.New("the server lets everybody in without a password")
	}
	if s.c.Caps().Has(imap.CapLoginDisabled) {
		return errors.New("the server takes no user and password (LOGINDISABLED)")
	}
	if err := s.c.Login(s.o.User, s.o.Password).Wait(); err != nil {
		return said("logging in as "+s.o.User, err)
	}
	box, err := s.c.Select(s.o.Folder, &imap.SelectOptions{ReadOnly: readOnly}).Wait()
	if err != nil {
		return said("folder "+s.o.Folder, err)
	}
	if box.UIDValidity == 0 {
		return errors.New("the server gives no UIDVALIDITY: mails cannot be told apart")
	}
	s.validity, s.mails = box.UIDValidity, box.NumMessages
	return nil
}

// said is what went wrong in a step, with the words of the server.
func said(step string, err error) error {
	var e *imap.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: the server says %s %s", step, e.Type, printable(e.Text))
	}
	return fmt.Errorf("%s: %w", step, err)
}

// listed is a mail in the folder.
type listed struct {
	uid  imap.UID
	size int64
}

// round reads what is new.
func (s *session) round(ctx context.Context) error {
	if s.at.Validity != s.validity {
		s.at = Place{Validity: s.validity}
	}
	if s.o.After == Move && !s.c.Caps().Has(imap.CapMove) && !s.c.Caps().Has(imap.CapUIDPlus) {
		return errors.New("the server can neither MOVE nor UID EXPUNGE: moving one mail could delete others")
	}
	if s.mails == 0 {
		return nil
	}
	fresh, left, err := s.list()
	if err != nil {
		return err
	}
	if err := s.after(left); err != nil { // taken before an end that came too early
		return err
	}
	for len(fresh) > 0 {
		n, octets := 0, int64(0)
		for n < len(fresh) && n < step && (n == 0 || octets+fresh[n].size <= s.o.stepRoom) {
			octets += fresh[n].size
			n++
		}
		if err := s.chunk(ctx, fresh[:n]); err != nil {
			return err
		}
		fresh = fresh[n:]
	}
	return nil
}

// list returns the mails that are new, at most as many as a round takes, and those that were taken but not moved.
func (s *session) list() (fresh []listed, left []imap.UID, err error) {
	from := imap.UID(s.at.Last)
	if s.o.After == Move {
		from = 0
	}
	if from == ^imap.UID(0) {
		return nil, nil, nil
	}
	var set imap.UIDSet
	set.AddRange(from+1, 0)
	cmd := s.c.Fetch(set, &imap.FetchOptions{UID: true, RFC822Size: true})
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		var l listed // a size that is not said is seen when it comes
		for item := m.Next(); item != nil; item = m.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				l.uid = item.UID
			case imapclient.FetchItemDataRFC822Size:
				l.size = item.Size
			}
		}
		switch {
		case l.uid == 0:
		case uint32(l.uid) > s.at.Last:
			fresh = s.keepOldest(append(fresh, l))
		case l.size <= s.o.Size && len(left) < s.o.Mails:
			left = append(left, l.uid)
		}
	}
	if err := cmd.Close(); err != nil {
		return nil, nil, said("listing", err)
	}
	slices.SortFunc(fresh, byUID)
	if len(fresh) > s.o.Mails {
		fresh, s.More = fresh[:s.o.Mails], true
	}
	return fresh, left, nil
}

func byUID(a, b listed) int { return cmp.Compare(a.uid, b.uid) }

// keepOldest bounds the list however many mails a server claims to have.
func (s *session) keepOldest(list []listed) []listed {
	if len(list) < 2*s.o.Mails+step {
		return list
	}
	s.More = true
	slices.SortFunc(list, byUID)
	return list[:s.o.Mails]
}
