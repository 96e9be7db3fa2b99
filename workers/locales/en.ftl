### What people read, in English. Every key here is in ru.ftl too, with the same values.
### Messages may use <b> and <i>; buttons, toasts, causes, evidence and states are plain.

## Coming in

stranger = ictus works by invitation. Ask your coordinator for a link, or ask for access here.
access-requested = Your request was sent. You will get a message here once it is approved.
access-asked = <b>{ $name }</b> asks for access.
access-approved = Approved.
notice =
    <b>ictus</b> suggests the likely cause of an ischaemic stroke from MRI images, and which examinations to order next.

    It is a research prototype, not a medical device. Do not base treatment decisions on it.

    Images are de-identified before anything else happens. Originals are kept restricted while the study runs.

    Do not send names, birth dates or record numbers.

    <i>Notice { $version }</i>
welcome =
    Thank you. Send one or several MRI images of one patient (DWI, ADC, FLAIR): screenshots or photos of the screen, an album is fine.

    Nothing to fill in: the answer appears in a minute.
help =
    Send MRI images of one patient: screenshots or photos of the screen. An album is one case; a photo within 90 seconds joins the last one.

    Reply to a card to add an image to its case.
    /cases shows your cases; there you can tell the final cause at any time.

    Research prototype, not a medical device. Do not send names or record numbers.
unsupported = I understand images only: send a screenshot or a photo of an MRI. /help tells more.

## The card

images = { $count ->
    [one] { $count } image
   *[other] { $count } images
}
header = <b>{ $code }</b>
header-answer = <b>{ $code }</b> · model { $model } · { images }
progress = Received: { images }, de-identified: { $ready }.
analysing = Analysing, usually a few seconds…
updating = <i>Updating the answer: received { images }, de-identified { $ready }.</i>
unusable = None of these images can be used. Please send another one.
collected = Thank you, the case is saved. There is no automatic answer here yet.
likely = { $word ->
    [very] <b>Very likely: { $cause }</b>
    [likely] <b>Likely: { $cause }</b>
   *[slightly] <b>Slightly favours: { $cause }</b>
}
frequency = { $bar } in { $n ->
    [10] more than 9 of 10
    [0] fewer than 1 of 10
   *[other] { $n } of 10
} similar cases ({ $low }–{ $high } %)
second = { $cause }: in { $n ->
    [10] more than 9 of 10
    [0] fewer than 1 of 10
   *[other] { $n } of 10
}
abstain =
    <b>The model abstains</b>: these images do not tell cardioembolic from large-artery stroke.
    <b>This does not mean low risk.</b> Work-up for both:
declined-not-applicable =
    <b>No answer</b>: the pattern is typical of small-vessel disease, so the question “cardioembolic or large-artery” does not apply.
    <b>This does not mean low risk.</b> Work-up:
declined-out-of-distribution =
    <b>No answer</b>: these images are unlike those the model knows.
    <b>This does not mean low risk.</b> Work-up for both causes:
declined-failed =
    <b>No answer</b>: the analysis failed; the images are kept.
    <b>This does not mean low risk.</b> Work-up for both causes:
next = Examinations to order:
examination-short = { $number }. { $name }
demo = <b>Synthetic demo model, no clinical meaning.</b>
research = <i>Research tool. The clinician decides.</i>
problem = { $count ->
    [one] Image { $numbers }: { $coaching }
   *[other] Images { $numbers }: { $coaching }
}
problems-more = { $count ->
    [one] … and { $count } more image is not usable.
   *[other] … and { $count } more images are not usable.
}

## Why an image cannot be used, and what to do

rejected-empty = the file is empty; send it again.
rejected-not-an-image = this is not an image; send a screenshot or a photo.
rejected-unsupported-type = this file type is not supported; send JPEG, PNG or WebP, or a screenshot.
rejected-truncated = the file broke off on the way; send it again.
rejected-damaged = the file is damaged; take a new screenshot.
rejected-too-large = the file is too large; send it as a photo or take a screenshot.
rejected-too-many-pixels = the image has too many pixels; send a screenshot instead.
rejected-animated = this is an animation; send single images.
rejected-too-small = the image is too small; enlarge the scan and take it again.
rejected-too-blurred = the image is blurred; hold the phone still or take a screenshot.
rejected-no-head = no head MRI can be seen; fill the screen with the scan and take it again.
rejected-head-too-small = the head is too small; enlarge the scan on the screen and take it again.
rejected-text-covers-head = text covers the head; hide the viewer's overlays and take it again.
rejected-text-remains = text on the head could not be hidden for certain; hide the viewer's overlays and take it again.
rejected-decoder-failed = the file cannot be opened; take a screenshot of it.
rejected-time-limit = reading the file took too long; take a screenshot of it.
rejected-source-gone = Telegram no longer has the file; send it again.
rejected-failed = it could not be processed; send it again or take a screenshot.
rejected-too-dark = the image is too dark; brighten the screen or the window and take it again.
rejected-too-bright = the image is burnt out to white; set a wider window or lower the brightness and take it again.
rejected-glare = a lamp is reflected on the screen; hold the phone parallel to the screen, out of the light, or take a screenshot.
rejected-not-recognised = this does not look like a brain MRI; open one axial series on the full screen and take it again.
rejected-not-used-yet = what it shows is kept, but not used yet; please send brain MRI.
kept-ct = this is a CT: kept, not used yet; please send brain MRI.
kept-ecg = this is an ECG: kept, not used yet; please send brain MRI.
kept-report = this is a page of text: kept, not used yet; please send brain MRI.

## What makes an accepted image less reliable, and what to do better next time

warned-small-head = the head is small: enlarge the scan on the screen.
warned-soft-focus = not quite sharp: send it as a file or take a screenshot.
warned-too-dark = much of the head is black: brighten the window.
warned-too-bright = part of the head is burnt out: set a wider window.
warned-cut-off = the head is cut off: show it whole.
warned-text-on-head = text lay on the head: hide the viewer's overlays.
warned-screen-photo = a photo of a screen: a screenshot sent as a file shows more.
warned-little-contrast = little contrast: set a narrower window or brighten the screen.
warned-glare = light is reflected: hold the phone parallel to the screen.
warned-film = a photo of a film: a screenshot of the viewer shows more.

## What a clinician says about a case

your-opinion = Your opinion: { $opinion }
opinion-agree = you agree
opinion-unsure = you are not sure
opinion-question = What do you think?
opinion-recorded = Noted, thank you.
af-recorded = Noted. The answer takes it into account.
final-question = What was the final cause?
evidence-question = Confirmed by? ({ $cause })
label-recorded = The final cause is recorded. Thank you!
final-cause = Final cause: <b>{ $cause }</b>, { $evidence }; { $level ->
    [1] working diagnosis
    [2] instrument-confirmed
   *[other] adjudicated
}
split-done = Moved to a case of its own.
same-patient = Same patient: { $codes }
same-question = Which case is of the same patient?
same-none = You have no other case.
same-confirm = Are { $code } and this case of one patient? This cannot be undone.
same-done = Noted: one patient.

cause-large-artery = large-artery
cause-cardioembolic = cardioembolic
cause-small-vessel = small-vessel (lacunar)
cause-other-determined = other determined
cause-undetermined-multiple = undetermined: several causes
cause-undetermined-negative = undetermined: full work-up negative
cause-undetermined-incomplete = undetermined: work-up incomplete
cause-not-a-stroke = not a stroke

evidence-ecg = ECG or Holter: AF
evidence-echo = echo: cardiac source
evidence-stenosis = stenosis ≥ 50 %
evidence-clinical = clinically

## Buttons

button-ask = Ask for access
button-approve = Approve
button-consent = I agree
button-agree = Agree
button-other = Other
button-my-opinion = My opinion
button-unsure = Unsure
button-af-yes = AF known: yes
button-af-no = no
button-af-unknown = unknown
button-examinations = All examinations
button-final = Final cause
button-split = This is another patient
button-same-patient = Same patient as…
button-one-patient = Yes, one patient
button-back = ‹ Back
button-earlier = Earlier ›
button-later = ‹ Later

## All examinations

examinations = <b>{ $code }</b> · all examinations
examination = <b>{ $number }. { $name }</b> ({ $priority }): { $details }
examination-condition = if { $condition }
examination-source = <i>Source: { $source }</i>
examination-unverified = <i>Source: to be verified</i>
examinations-more = … and { $count } more.
priority-1 = now
priority-2 = this admission
priority-3 = after discharge

## My cases

cases = <b>Your cases</b>, latest first. Tap one to open it.
no-cases = You have no cases yet. Send an MRI image to open one.
state-receiving = in progress
state-waiting = no answer yet
state-answered = answered
state-abstained = model abstained
state-confirmed = final
state-withdrawn = withdrawn
state-erased = erased
state-imported = imported

## Messages of their own

answer-ready = Answer ready ↑
refused-NotYours = This case belongs to another clinician.
refused-NotInvited = ictus works by invitation. Ask your coordinator for a link.
refused-NoConsent = Please accept the research notice first: /start
refused-NoSuchCase = There is no such case.
refused-SameCase = A case cannot be linked to itself.
refused-IsErased = This case was erased.
refused-Changed = The file changed while it was taken in.
refused-AnotherPatient = This case was taken in for another patient.
refused-IsWithdrawn = This case was withdrawn: nothing new comes into it.
refused-Exhausted = This invitation was used up or has expired. Ask for a new one.
refused-NotPassed = This model has not passed its test.
refused-NotHere = This model must not answer here.
refused-BadAudience = An audience is all, site:…, person:… or percent:….
refused-Refused = This cannot be done.
old-button = This button is too old. Open the case from /cases.
error = Something went wrong (code { $code }). What you sent is kept; your coordinator can find it by this code.
