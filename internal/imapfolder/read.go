package imapfolder

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

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
