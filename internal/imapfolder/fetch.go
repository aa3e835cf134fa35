package imapfolder

import (
	"context"
	"io"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

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
