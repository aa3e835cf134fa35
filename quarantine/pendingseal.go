package quarantine

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"sekimori/internal/mail"
)

// encodePending gives what stands beside a hold on the disk: JSON, or, when its octets are encrypted, a JSON string.
func (q *Store) encodePending(m *pendingMeta, sealed bool) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil || !sealed {
		return b, err
	}
	return json.Marshal(q.codec.seal(b, placePending(holdID(m.Held.ID))))
}

// sealContent encrypts the octets of a hold on the disk, in parts, each behind its length in four octets.
func (q *Store) sealContent(id string, c mail.Content) mail.Content {
	if q.codec.keyID() == "" {
		return c
	}
	raw := contiguous(c)
	var out mail.Content
	for n := 0; n == 0 || len(raw) > 0; n++ {
		part := q.codec.seal(raw[:min(len(raw), pieceSize)], placePendingPart(id, n))
		out = append(out, binary.BigEndian.AppendUint32(nil, uint32(len(part))), part)
		raw = raw[min(len(raw), pieceSize):]
	}
	return out
}

// pendingContent returns the octets of a hold on the disk, and a function to call when they are no longer used.
func (q *Store) pendingContent(p *pendingHold) (mail.Content, func(), error) {
	c, done, err := q.reader.Content(p.entry.ID)
	if err != nil || !p.sealed {
		return c, done, err
	}
	defer done()
	id, raw := p.Held.ID, contiguous(c)
	var out mail.Content
	size := int64(0)
	for n := 0; len(raw) > 0; n++ {
		if len(raw) < 4 || int64(len(raw)-4) < int64(binary.BigEndian.Uint32(raw)) {
			return nil, nil, fmt.Errorf("%w: %s is cut off", ErrLost, p.entry.ID)
		}
		end := 4 + int(binary.BigEndian.Uint32(raw))
		part, err := q.codec.open(raw[4:end], placePendingPart(id, n))
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", p.entry.ID, err)
		}
		out, size, raw = append(out, part), size+int64(len(part)), raw[end:]
	}
	if size != p.Held.Size {
		return nil, nil, fmt.Errorf("%w: %s has %d octets, not %d", ErrLost, p.entry.ID, size, p.Held.Size)
	}
	return out, func() {}, nil
}
