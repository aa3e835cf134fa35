package mail

import "slices"

// addFileFacts says what the attachments are, by their octets.
func addFileFacts(facts map[string]any, files []*Part) {
	inside, kinds, locked, unread := []string{}, []string{}, []string{}, []string{}
	macros, programs, disguised, scripts, forms := []string{}, []string{}, []string{}, []string{}, []string{}
	for _, p := range files {
		f := &p.File
		for _, n := range f.Inside {
			inside = appendMax(inside, n)
		}
		for _, e := range f.InsideTypes {
			kinds = appendNew(kinds, e)
		}
		for _, part := range []struct {
			into *[]string
			is   bool
		}{
			{&locked, f.Locked},
			{&unread, f.Unread || len(f.InsideTypes) > 0 && len(kinds) >= maxListFact},
			{&macros, f.Macros},
			{&programs, f.Kind == "program" || f.Kind == "shortcut"},
			{&disguised, p.Disguised()},
			{&scripts, p.HTML && slices.Contains(p.Tags, "script")},
			{&forms, p.HTML && slices.Contains(p.Tags, "form") && slices.Contains(p.Tags, "input")},
		} {
			if part.is {
				*part.into = appendMax(*part.into, p.shownName())
			}
		}
	}
	facts["message.archive_names"] = inside
	facts["message.archive_extensions"] = kinds
	facts["message.locked"] = locked
	facts["message.unread_archives"] = unread
	facts["message.macros"] = macros
	facts["message.programs"] = programs
	facts["message.disguised"] = disguised
	facts["message.attached_scripts"] = scripts
	facts["message.attached_forms"] = forms
}

// shownName is the name of a file, or its type when it has none.
func (p *Part) shownName() string {
	if p.Name == "" {
		return p.Type
	}
	return p.Name
}

// harmless are the kinds that a file may be of, by its extension: what people open without a thought.
var harmless = map[string][]string{
	"pdf": {"pdf"},
	"jpg": {"image"}, "jpeg": {"image"}, "png": {"image"}, "gif": {"image"}, "bmp": {"image"}, "tif": {"image"}, "tiff": {"image"},
	"txt": nil, "csv": nil, "log": nil, "ics": nil,
	"doc": {"ole", "rtf", "office", "zip"}, "xls": {"ole", "office", "zip"}, "ppt": {"ole", "office", "zip"}, "rtf": {"rtf", "ole", "office"},
	"docx": {"office", "ole"}, "xlsx": {"office", "ole"}, "pptx": {"office", "ole"},
	"mp3": nil, "mp4": nil, "wav": nil, "mov": nil,
	"zip": {"zip", "office"},
}

// strange are the kinds that make a file dangerous or tell that it is not what it is called. What is not recognised tells nothing.
var strange = []string{"zip", "office", "rar", "7z", "cab", "lzh", "ace", "gzip", "ole", "rtf", "onenote", "program", "shortcut", "help", "disk"}

// Disguised reports whether the octets of a file are of another kind than its extension says. A picture of another format, or a document
// that begins in no known way, is not.
func (p *Part) Disguised() bool {
	allowed, ok := harmless[Extension(p.Name)]
	return ok && slices.Contains(strange, p.File.Kind) && !slices.Contains(allowed, p.File.Kind)
}
