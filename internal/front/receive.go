package front

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

const (
	smallBody = 1 << 20 // up to here a message is in memory, beyond in a file of the spool
	readStep  = 4 << 10 // least room for one read
	firstBody = 16 << 10
)

var errBodyLarge = errors.New("front: the message is too large")

// body is a message on its way in.
type body struct {
	spool Spool
	limit int64
	hint  int64
	dots  dots
	mem   []byte
	tmp   Temp
	size  int64 // of what went to tmp
	over  bool
	err   error // of the spool
}

// spill keeps the memory of one message bounded.
func (b *body) spill(force bool) {
	if b.limit > 0 && b.size+int64(len(b.mem)) > b.limit {
		b.over = true
	}
	if b.over || b.err != nil {
		b.mem = b.mem[:0]
		return
	}
	if len(b.mem) <= smallBody && !force {
		return
	}
	if b.tmp == nil {
		if b.tmp, b.err = b.spool.Temp(b.hint); b.err != nil {
			b.tmp = nil
			return
		}
	}
	if _, b.err = b.tmp.Write(b.mem); b.err == nil {
		b.size += int64(len(b.mem))
	}
	b.mem = b.mem[:0]
}

// room makes sure that one read fits behind what is there, with the gap that dots.take wants.
func (b *body) room() []byte {
	need := len(b.mem) + 2 + readStep
	if cap(b.mem) < need {
		grown := make([]byte, len(b.mem), max(need, min(2*cap(b.mem), smallBody+64<<10), firstBody))
		copy(grown, b.mem)
		b.mem = grown
	}
	return b.mem[len(b.mem)+2 : cap(b.mem)]
}

// raw returns the whole message.
func (b *body) raw() ([]byte, error) {
	switch {
	case b.over:
		return nil, errBodyLarge
	case b.err != nil:
		return nil, b.err
	case b.tmp == nil:
		return b.mem, nil
	}
	b.spill(true)
	if b.over {
		return nil, errBodyLarge
	}
	if b.err != nil {
		return nil, b.err
	}
	b.mem = nil
	return b.tmp.Map()
}

// drop gives back what an unfinished message holds.
func (b *body) drop() {
	if b.tmp != nil {
		_ = b.tmp.Close()
		b.tmp = nil
	}
	b.mem = nil
}

// receive reads the message that follows DATA, to its end whatever it holds. An error means that the end did not come.
func (w *wire) receive(b *body) error {
	for {
		dst := b.mem
		src := w.in[w.pos:]
		if len(src) > 0 {
			// Already read along with the command.
			out, used, done := b.dots.take(dst, src)
			b.mem = out
			w.pos += used
			b.spill(false)
			if done {
				return nil
			}
			continue
		}
		src = b.room()
		dst = b.mem
		n, err := w.readInto(src, false)
		if err != nil {
			return err
		}
		out, used, done := b.dots.take(dst, src[:n])
		if done && used < n {
			w.unread(src[used:n])
		}
		b.mem = out
		b.spill(false)
		if done {
			return nil
		}
	}
}

// bdat is one chunk (RFC 3030), read here: go-smtp would run the session beside the next commands. After the last one
// go-smtp is told DATA, whose 354 is not passed on.
func (w *wire) bdat(arg string) string {
	size, last, ok := parseBdat(arg)
	if !ok {
		// What follows cannot be told from commands.
		w.hangUp("BDAT needs a size and perhaps LAST", "bdat_syntax")
		return ""
	}
	if w.tx == nil || len(w.tx.rcpts) == 0 {
		if w.discard(size) == nil {
			w.bad(mail.Permanent(503, 5, 1, "MAIL and RCPT come before BDAT"))
		}
		return ""
	}
	tx := w.tx
	if !tx.chunks {
		tx.chunks = true
		tx.begin(w)
		tx.body.dots.verbose = true
	}
	if err := w.chunk(&tx.body, size); err != nil {
		return ""
	}
	switch {
	case tx.body.over:
		return w.failChunks(mail.Permanent(552, 3, 4, "the message is too large"), "size")
	case tx.body.err != nil:
		return w.failChunks(mail.Transient(452, 3, 1, "out of space, try again later"), "spool")
	case last:
		w.verb = "DATA"
		return "DATA"
	}
	w.out = append(w.out, fmt.Sprintf("250 2.0.0 %d octets received id=%s\r\n", size, tx.id)...)
	return ""
}

// failChunks ends the transaction; go-smtp is told RSET.
func (w *wire) failChunks(r mail.Reply, why string) string {
	w.override = withID(r.String(), w.tx.id) + "\r\n"
	w.tx.refuse(w, r, why)
	return "RSET"
}

func parseBdat(arg string) (size int64, last, ok bool) {
	f := strings.Fields(arg)
	if len(f) == 0 || len(f) > 2 {
		return 0, false, false
	}
	n, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil || strings.HasPrefix(f[0], "+") {
		return 0, false, false
	}
	if len(f) == 2 {
		if !strings.EqualFold(f[1], "LAST") {
			return 0, false, false
		}
		last = true
	}
	return int64(n), last, true
}

// chunk reads exactly size octets into the message.
func (w *wire) chunk(b *body, size int64) error {
	for size > 0 {
		in, err := w.input(false)
		if err != nil {
			return err
		}
		if int64(len(in)) > size {
			in = in[:size]
		}
		b.room()
		b.mem, _, _ = b.dots.take(b.mem, in)
		w.pos += len(in)
		size -= int64(len(in))
		b.spill(false)
	}
	return nil
}

// discard drops a chunk that nobody wants.
func (w *wire) discard(size int64) error {
	if size > 4*int64(w.set.cfg.SMTP.MaxMessageSize)+1<<20 {
		return w.end(mail.Transient(421, 7, 0, "the chunk is too large"), "bdat_size")
	}
	for size > 0 {
		in, err := w.input(false)
		if err != nil {
			return err
		}
		n := min(int64(len(in)), size)
		w.pos += int(n)
		size -= n
	}
	return nil
}

// endOfData is what go-smtp's own reader of the message is given once the session has read it from the wire.
func (w *wire) endOfData(r io.Reader) {
	w.line = []byte(".\r\n")
	_, _ = io.Copy(io.Discard, r)
}
