package quarantine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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
	head   []byte // zstd
	hash   string // SHA-256 of the rest
	pieces [][]byte
	zsize  int64 // octets of all pieces
	own    int64 // octets of what is stored for this mail alone
}

// codec is safe for concurrent use.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxRaw))
	return codec{enc, dec}, err
}

func (c codec) pack(body mail.Content) (*packed, error) {
	raw := contiguous(body)
	cut := bytes.Index(raw[:min(len(raw), maxHead)], []byte("\r\n\r\n"))
	if cut >= 0 {
		cut += 4
	} else {
		cut = 0
	}
	rest := raw[cut:]
	sum := sha256.Sum256(rest)
	p := &packed{head: c.enc.EncodeAll(raw[:cut], nil), hash: hex.EncodeToString(sum[:])}
	z := c.enc.EncodeAll(rest, nil)
	p.zsize, p.own = int64(len(z)), int64(len(p.head))
	for len(z) > pieceSize {
		p.pieces = append(p.pieces, z[:pieceSize:pieceSize])
		z = z[pieceSize:]
	}
	p.pieces = append(p.pieces, z)
	return p, nil
}

// contiguous avoids the copy of a body that is in one piece.
func contiguous(c mail.Content) []byte {
	if len(c) == 1 {
		return c[0]
	}
	return c.Bytes()
}

// unpack is the inverse of pack; the hash and the size are compared, so that what comes out is what went in.
func (c codec) unpack(head, z []byte, hash string, size int64) (mail.Content, error) {
	h, err := c.dec.DecodeAll(head, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrLost, err)
	}
	rest, err := c.dec.DecodeAll(z, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", ErrLost, err)
	}
	if sum := sha256.Sum256(rest); hex.EncodeToString(sum[:]) != hash || int64(len(h)+len(rest)) != size {
		return nil, fmt.Errorf("%w: they are not what was stored", ErrLost)
	}
	return mail.Content{h, rest}, nil
}
