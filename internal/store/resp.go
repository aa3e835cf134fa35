package store

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// Bounds of one command, so that a peer on store.sock cannot make us allocate without end.
const (
	maxArgs    = 1 << 20
	maxBulk    = 64 << 20
	maxCommand = 256 << 20
)

var errProtocol = errors.New("ERR Protocol error")

// readCommand reads one command: an array of bulk strings, as clients send it. io.EOF means that the peer has hung up
// between commands.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*', maxArgs)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errProtocol
	}
	args := make([]string, 0, min(n, 64))
	total := 0
	for range n {
		size, err := readLength(r, '$', maxBulk)
		if err != nil {
			return nil, noEOF(err)
		}
		if total += size; total > maxCommand {
			return nil, errProtocol
		}
		buf := make([]byte, size+2)
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, noEOF(err)
		}
		if buf[size] != '\r' || buf[size+1] != '\n' {
			return nil, errProtocol
		}
		args = append(args, string(buf[:size]))
	}
	return args, nil
}

// readLength reads a line such as "*3\r\n" or "$5\r\n".
func readLength(r *bufio.Reader, kind byte, limit int) (int, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return 0, errProtocol
		}
		return 0, err
	}
	if len(line) < 4 || line[0] != kind || line[len(line)-2] != '\r' {
		return 0, errProtocol
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-2]))
	if err != nil || n < 0 || n > limit {
		return 0, errProtocol
	}
	return n, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
