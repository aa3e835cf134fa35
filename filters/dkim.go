package filters

import "sekimori/internal/mail"

var dkimSpec = Spec{Name: "dkim", Stages: []mail.Stage{mail.Data}}
