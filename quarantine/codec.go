package quarantine

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"sekimori/internal/mail"
)

const (
	pieceSize = 512 << 10 // small enough that other clients of Redis do not wait
	maxHead   = 64 << 10  // a longer header goes with the body
	maxRaw    = 2 << 30   // no mail is larger; a bound for what is unpacked
)

// packed is a mail as it is stored: its header apart, because the mails of a campaign differ there, and the rest under
// its hash, so that equal ones are stored once.
type packed struct {
	head   []byte // zstd, sealed
	hash   string // the name of the rest
	key    string // the id of the key that sealed both; "": none
	pieces [][]byte
	zsize  int64 // octets of all pieces
	own    int64 // octets of what is stored for this mail alone
}

// codec is safe for concurrent use.
type codec struct {
	enc  *zstd.Encoder
	dec  *zstd.Decoder
	keys []sealer // the first seals, all open
}

func newCodec(keys []Key) (codec, error) {
	var sealers []sealer
	for _, k := range keys {
		s, err := newSealer(k)
		if err != nil {
			return codec{}, err
		}
		sealers = append(sealers, s)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxRaw))
	return codec{enc, dec, sealers}, err
}

func (c codec) pack(id string, body mail.Content) (*packed, error) {
	raw := contiguous(body)
	cut := bytes.Index(raw[:min(len(raw), maxHead)], []byte("\r\n\r\n"))
	if cut >= 0 {
		cut += 4
	} else {
		cut = 0
	}
	rest := raw[cut:]
	p := &packed{head: c.seal(c.enc.EncodeAll(raw[:cut], nil), placeHead(id)), key: c.keyID()}
	p.hash, p.own = c.name(rest, p.key), int64(len(p.head))
	z := c.enc.EncodeAll(rest, nil)
	for first := true; first || len(z) > 0; first = false {
		n := min(len(z), pieceSize)
		piece := c.seal(z[:n:n], placePiece(p.hash, len(p.pieces)))
		p.pieces, p.zsize = append(p.pieces, piece), p.zsize+int64(len(piece))
		z = z[n:]
	}
	return p, nil
}

// contiguous avoids the copy of a body that is in one piece.
func contiguous(c mail.Content) []byte {
	if len(c) == 1 {
		return c[0]
	}
	return c.Bytes()
}

// unpack is the inverse of pack, of pieces that are opened and put together; the name and the size are compared, so that what
// comes out is what went in.
func (c codec) unpack(r *record, head, z []byte) (mail.Content, error) {
	head, err := c.open(head, placeHead(r.ID))
	if err != nil {
		return nil, err
	}
	h, err := c.dec.DecodeAll(head, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrLost, err)
	}
	rest, err := c.dec.DecodeAll(z, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", ErrLost, err)
	}
	if c.name(rest, r.Key) != r.Hash || int64(len(h)+len(rest)) != r.Size {
		return nil, fmt.Errorf("%w: they are not what was stored", ErrLost)
	}
	return mail.Content{h, rest}, nil
}
