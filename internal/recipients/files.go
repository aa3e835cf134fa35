package recipients

// Files returns the recipient and alias files, and what they include, as they were read last.
func (d *Directory) Files() []string {
	var list []string
	for _, f := range d.files {
		f.mu.Lock()
		for _, s := range f.stamps {
			list = append(list, s.path)
		}
		f.mu.Unlock()
	}
	return list
}
