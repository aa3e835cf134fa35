package front

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// peek looks, without waiting, whether the client has already said something; what it said stays input. alive is false
// when it has hung up.
func (w *wire) peek() (early, alive bool) {
	if w.pos < len(w.in) {
		return true, true
	}
	sc, ok := w.raw.(syscall.Conn)
	if !ok {
		return w.await(time.Millisecond)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false, true
	}
	// An expired deadline would make the runtime refuse to look at all.
	_ = w.raw.SetReadDeadline(time.Time{})
	var n int
	buf := make([]byte, inputSize)
	readErr := rc.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), buf) // the descriptor does not block
		return true
	})
	switch {
	case readErr != nil:
		return false, false
	case n > 0:
		w.unread(buf[:n])
		return true, true
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR):
		return false, true
	default:
		return false, false
	}
}

// await waits for the client to say something before its turn.
func (w *wire) await(d time.Duration) (early, alive bool) {
	_ = w.raw.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, inputSize)
	n, err := w.raw.Read(buf)
	if n > 0 {
		w.unread(buf[:n])
		return true, true
	}
	return false, errors.Is(err, os.ErrDeadlineExceeded)
}
