package filters

import "sekimori/internal/mail"

var dmarcSpec = Spec{Name: "dmarc", Stages: []mail.Stage{mail.Conclude}}
