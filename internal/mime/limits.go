package mime

// The limits of one message. What exceeds them is left out and flagged; the octets themselves stay in Message.Raw. They
// bound the time to one pass over the octets, and the memory to a few MiB whatever the size of the mail.
const (
	maxFields      = 2000      // header fields of the message that are listed
	maxKeyFields   = 20000     // fields that others must see or remove (isKeyField) beyond maxFields
	maxPartFields  = 200       // header fields of one inner part
	maxValue       = 64 << 10  // octets of one field's value
	maxShared      = 512 << 10 // header octets kept in one string that the values are slices of
	maxParts       = 1000
	maxDepth       = 30
	maxParams      = 100       // parameters of one Content-Type or Content-Disposition
	maxBoundaries  = 4         // boundaries that one multipart may claim
	maxSections    = 200       // continuations of one RFC 2231 parameter
	maxPartText    = 256 << 10 // octets of Text of one part
	maxText        = 1 << 20   // octets of Text of all parts
	maxHTML        = 512 << 10 // octets of decoded HTML that are read for one part
	maxHidden      = 16 << 10  // octets of text that HTML does not show of one part
	maxLinks       = 1000      // links of all parts
	maxLinkLen     = 2048
	maxAnchor      = 200 // octets of one link's text
	maxTags        = 200 // distinct tags and attributes of one part
	maxName        = 1024
	maxMailboxes   = 1000
	maxEmbedded    = 20 // uuencoded and yEnc files in one part
	maxCommentNest = 50
	maxGuesses     = 3 // boundaries guessed in one message
)
