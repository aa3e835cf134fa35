package imapfolder

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// What becomes of a mail that was read.
const (
	Leave = "leave"
	Seen  = "seen"
	Move  = "move"
)

// Options say what to read.
type Options struct {
	Addr     string // host:port
	StartTLS bool   // else TLS from the beginning
	TLS      *tls.Config
	User     string
	Password string
	Folder   string
	After    string // Leave, Seen or Move
	MoveTo   string // the folder, with Move
	Mails    int    // of one round
	Size     int64  // octets of one mail; a larger one is passed over

	Dial  func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer
	Idle  time.Duration                                                     // for one answer; default 30s
	Total time.Duration                                                     // for the round; default 10m

	room     int64 // octets of what is no mail; 0: listRoom
	stepRoom int64 // octets of the mails of one step; 0: stepRoom
}

// Place is up to where a folder was read.
type Place struct {
	Validity uint32 // UIDVALIDITY
	Last     uint32 // the largest UID that was read; 0: none
}

// Round is what came of reading.
type Round struct {
	Read  int // mails that were taken
	Large int // new ones that were passed over
	Gone  int // new ones that were listed and did not come
	More  bool
}

const (
	step      = 20       // mails that are taken at once
	stepRoom  = 32 << 20 // octets of them
	listRoom  = 64 << 20 // octets of what is no mail
	perAnswer = 4 << 10
)

// octets is how much a round may receive.
func (o *Options) octets() int64 { return cmp.Or(o.room, listRoom) + int64(o.Mails)*(o.Size+perAnswer) }

func (o *Options) complete() {
	o.stepRoom = cmp.Or(o.stepRoom, stepRoom)
	o.Idle, o.Total = cmp.Or(o.Idle, 30*time.Second), cmp.Or(o.Total, 10*time.Minute)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.Idle}).DialContext
	}
}

// Read hands mails that stand behind a place to take, oldest first and a few at a time, and each time calls keep with the place up to
// where the folder was read then. A mail is taken twice when keep has not come to its end. An error never holds the password.
func Read(ctx context.Context, o Options, at Place, take func(context.Context, [][]byte) error, keep func(context.Context, Place) error) (Round, error) {
	var r Round
	err := o.with(ctx, o.After == Leave, func(ctx context.Context, s *session) error {
		s.take, s.keep, s.at = take, keep, at
		err := s.round(ctx)
		r = s.Round
		return err
	})
	return r, err
}

// Look logs in and looks at the folder, and returns how many mails lie there. Nothing is changed.
func Look(ctx context.Context, o Options) (mails int, err error) {
	err = o.with(ctx, true, func(_ context.Context, s *session) error {
		mails = int(s.mails)
		return nil
	})
	return mails, err
}

// with runs a session. A server that keeps the library waiting in spite of the closed connection is left to itself.
func (o *Options) with(ctx context.Context, readOnly bool, f func(context.Context, *session) error) error {
	o.complete()
	ctx, cancel := context.WithTimeout(ctx, o.Total)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- o.run(ctx, readOnly, f) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(o.Idle):
			err = ctx.Err()
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("the server did not come to an end within %s", o.Total)
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	if o.Password == "" {
		return err
	}
	if text := err.Error(); strings.Contains(text, o.Password) {
		return errors.New(strings.ReplaceAll(text, o.Password, "***"))
	}
	return err
}

func (o *Options) run(ctx context.Context, readOnly bool, f func(context.Context, *session) error) (err error) {
	g := &guarded{idle: o.Idle, end: time.Now().Add(o.Total + o.Idle), left: o.octets()}
	defer func() {
		if err != nil && g.full.Load() { // whatever came of it in the end
			err = errFlood
		}
	}()
	conn, err := connect(ctx, o, g)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s := &session{o: o, conn: conn, c: imapclient.New(conn, nil)}
	defer func() { _ = conn.Close() }() // which ends the library's reader; nobody waits for that
	if err := s.open(readOnly); err != nil {
		return err
	}
	if err := f(ctx, s); err != nil {
		return err
	}
	_ = s.c.Logout().Wait() // all is done
	return nil
}

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

// chunk fetches some mails, has them taken, and does with them what is done after.
func (s *session) chunk(ctx context.Context, list []listed) error {
	var set imap.UIDSet
	for _, l := range list {
		if l.size <= s.o.Size {
			set.AddNum(l.uid)
		} else {
			s.Large++
		}
	}
	var mails [][]byte
	var uids []imap.UID
	if len(set) > 0 {
		var err error
		if mails, uids, err = s.fetchAll(set); err != nil {
			return err
		}
	}
	if len(mails) > 0 {
		if err := s.take(ctx, mails); err != nil {
			return err
		}
	}
	s.Read, s.Gone = s.Read+len(mails), s.Gone+count(set)-len(uids)
	s.at.Last = uint32(list[len(list)-1].uid)
	if err := s.keep(ctx, s.at); err != nil {
		return err
	}
	return s.after(uids)
}

func count(set imap.UIDSet) int {
	all, _ := set.Nums()
	return len(all)
}

// fetchAll reads mails. One that has gone meanwhile is not among them. What did not come is asked for once more: a server may say
// something else of a mail in between, which the library takes for the answer.
func (s *session) fetchAll(set imap.UIDSet) (mails [][]byte, uids []imap.UID, err error) {
	mails, uids, err = s.fetch(set)
	var missing imap.UIDSet
	all, _ := set.Nums()
	for _, uid := range all {
		if !slices.Contains(uids, uid) {
			missing.AddNum(uid)
		}
	}
	if err != nil || len(missing) == 0 {
		return mails, uids, err
	}
	more, moreUIDs, err := s.fetch(missing)
	return append(mails, more...), append(uids, moreUIDs...), err
}

// fetch asks for mails once.
func (s *session) fetch(set imap.UIDSet) (mails [][]byte, uids []imap.UID, err error) {
	room := s.o.stepRoom + s.o.Size
	cmd := s.c.Fetch(set, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		var uid imap.UID
		var raw []byte
		for item := m.Next(); item != nil; item = m.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				uid = item.UID
			case imapclient.FetchItemDataBodySection:
				if item.Literal == nil || len(raw) > 0 {
					continue
				}
				size := item.Literal.Size()
				if size > s.o.Size {
					continue // it said otherwise before
				}
				if room -= size; room < 0 {
					_ = s.conn.Close()
					_, _ = io.Copy(io.Discard, item.Literal) // sets the library's reader free
					return nil, nil, said("fetching", errFlood)
				}
				if raw, err = io.ReadAll(item.Literal); err == nil && int64(len(raw)) < size {
					err = io.ErrUnexpectedEOF
				}
				if err != nil {
					// The library must not be asked for anything more: it would read beside its own reader. The connection is closed now.
					return nil, nil, said("fetching", err)
				}
			}
		}
		if uid != 0 && len(raw) > 0 {
			mails, uids = append(mails, raw), append(uids, uid)
		}
	}
	if err := cmd.Close(); err != nil {
		return nil, nil, said("fetching", err)
	}
	return mails, uids, nil
}

// after marks or moves mails that were taken.
func (s *session) after(uids []imap.UID) error {
	if len(uids) == 0 || s.o.After == Leave {
		return nil
	}
	set := imap.UIDSetNum(uids...)
	if s.o.After == Seen {
		return marked(s.c.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close())
	}
	if _, err := s.c.Move(set, s.o.MoveTo).Wait(); err != nil {
		return said("moving to "+s.o.MoveTo, err)
	}
	return nil
}

func marked(err error) error {
	if err != nil {
		return said("marking as seen", err)
	}
	return nil
}
