// Package digest tells people what is held for them: one mail per person and due time, with what is new since the last one.
//
// # Once, or not again
//
// Several hosts may share one store, and any of them may die at any moment. Each person's due time is a slot (package people) that
// moves only forward. A host does, in this order:
//
//  1. claims the slot. Another host is refused; the claim lapses after two minutes.
//  2. reads what is new for the person and writes the mail. With nothing new the slot is done.
//  3. marks the slot as being handed over, with the ids of the mails that the digest names. This fails when the claim has lapsed
//     and another host has taken it.
//  4. hands the mail to the relay's queue, which has it on the disk when it returns. The entry's id is made of the person and the due
//     time, so that the same host never queues it twice.
//  5. marks each mail as told, and then the slot as done.
//
// A host that dies before 3 has sent nothing: another takes the slot when the claim has lapsed. A host that dies after 3 may have sent
// it: no other host ever sends that slot. The host itself, when it is back, finds in its queue and its ledger whether it did, and
// goes on with 5 or with 1. Should it never come back, what the digest named is still new, and comes with the next one.
//
// A digest that is asked for (digest run) is a request that stands until its slot has come to its end. A host takes it for two minutes;
// when it dies, the next that asks goes on with it, under the due time of the request, so that it finds the same slot: what was not
// handed over is told, and what was is told by nobody else. A later due time does not overtake a slot that another host has been handing
// over for less than ten minutes.
//
// All of this holds as far as the store keeps what it acknowledged. A Redis that loses its last writes may forget a slot: then the
// digest's Message-ID is the same, which lets mail servers drop the second.
//
// What is in the queue is sent at most once (relay.Envelope.Once). Until the last octet of the mail is given to a backend everything that
// goes wrong is tried again as with all mail. When the connection or the process ends between that octet and the writing down of the
// answer, nobody knows whether the digest arrived: it ends as "uncertain" in the ledger, and is not sent again.
//
// # What was told, and what was not
//
// Nothing expires before it was told. Each held mail has a mark for each person, which says by which digest it was told. A digest whose
// end is uncertain takes its marks back (Retract): what it named does not count as told, is new again, and stands in the person's next
// digest among the rest, with a note that an earlier notice named it. It is not sent at once, because that would be a second mail of the
// same. A digest that the mail server refused takes them back as well, so that the mails stay as long as they may (quarantine.late says
// so); they are in the list that the person asks for or opens, and not in the next digest, which would only be refused again. Which mails
// a digest names stands in its entry in the queue, and goes with it when the entry is carried to another node. What a later digest
// told meanwhile stays told. An administrator who deletes a digest from the queue tells nobody: it counts as told.
//
// # What a digest may not do
//
// No act is done by reply mail, because vacation replies quote links. List-Unsubscribe names a page on which the person chooses;
// there is no List-Unsubscribe-Post (RFC 8058), because a machine can send that.
package digest
